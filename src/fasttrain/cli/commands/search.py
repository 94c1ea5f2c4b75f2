"""Search for a good model within a budget of time: a race of many, then folds for the best."""

import shlex
from dataclasses import asdict, replace

from fasttrain.cli import _options, _screen
from fasttrain.cli._parser import duration, list_of, path

NEEDED = ("pandas",)
_MODELS = ("linear", "mlp")


def add_options(parser):
    """The command's options."""
    _options.add_table(parser)
    parser.add_argument("--budget", type=duration, default=60.0, metavar="TIME",
                        help="about how long to search, such as 60s or 10m (default 60s)")
    parser.add_argument("--out", type=path, metavar="DIR",
                        help="folder for the winner, as of fasttrain fit; DATA-model when left out")
    _options.add_folds(parser)
    parser.add_argument("--models", type=list_of(str, "names"), default=_MODELS, metavar="NAME,NAME",
                        help=f"some of {', '.join(_MODELS)}; both when left out")


def run(options, interrupts):
    """Do it."""
    for name in options.models:
        if name not in _MODELS:
            raise ValueError(f"--models must be some of {', '.join(_MODELS)}, got {name!r}")
    job = _options.job_of(options)
    out = _options.folder_for(options.out, options.data)
    from fasttrain.cli import _evaluation, _fitting
    from fasttrain.cli._job import problem_of
    from fasttrain.cli._searching import Search
    from fasttrain.cli.commands import fit

    problem = problem_of(job)
    with _screen.progress() as bar:
        found = Search(problem, options.budget, options.models, interrupts, bar.update).run()
    best = found.best
    metric = next(iter(_evaluation.METRICS[problem.task].values()))[0]
    print(f"{found.n_candidates} candidates in {len(found.brackets)} races, the best on {job.n_folds} folds, "
          f"{_screen.clock(found.seconds)}")
    rows = [
        [_screen.shortened(c.words, 58), _screen.score_of(c.mean), "" if c.race_score is None else str(c.epochs)]
        for c in found.ranking
    ]
    _screen.show_table(["options", metric, "passes raced"], rows)
    job = replace(job, model=best.model, settings={**best.settings})
    job.file = problem.job.file
    problem.job = job
    command = command_of(options, best)
    with _screen.progress() as bar:
        outcome = _fitting.run(job, interrupts, bar.update, command, problem)
    outcome.summary["search"] = {
        "budget": options.budget, "seconds": found.seconds, "candidates": found.n_candidates,
        "brackets": found.brackets,
        "ranking": [asdict(candidate) for candidate in found.ranking],
    }
    names = _fitting.write(outcome, out)
    fit.show(outcome, out, names)
    print(f"As a command: {_screen.printable(command)}")


def command_of(options, best):
    """The command that fits the winner on the same rows."""
    own, words = {"--budget", "--models"}, []
    arguments = iter(options.arguments[1:])
    for word in arguments:
        if word.partition("=")[0] not in own:
            words.append(str(word))
        elif "=" not in word:
            next(arguments, None)
    return shlex.join(["fasttrain", "fit", *words, *best.options])
