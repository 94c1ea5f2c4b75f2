"""Compare a baseline, linear models, SGD, networks and installed peers on the same folds."""

from fasttrain.cli import _options, _screen
from fasttrain.cli._parser import list_of, one_of, path

NEEDED = ("pandas",)
_MODELS = ("linear", "sgd", "mlp")
_METRICS = ("accuracy", "balanced-accuracy", "f1", "log-loss", "r2", "rmse", "mae")


def add_options(parser):
    """The command's options."""
    _options.add_table(parser)
    _options.add_folds(parser)
    group = parser.add_argument_group("models")
    group.add_argument("--models", type=list_of(str, "names"), metavar="NAME,NAME",
                       help=f"some of {', '.join(_MODELS)}; all when left out")
    group.add_argument("--no-peers", action="store_true", help="none of scikit-learn and LightGBM")
    group.add_argument("--metric", type=one_of(*_METRICS), metavar="NAME",
                       help="accuracy, balanced-accuracy, f1, log-loss; r2, rmse, mae (default accuracy or r2)")
    group.add_argument("--threads", type=int, metavar="N", help="threads at most, of fasttrain's models")
    parser.add_argument("--out", type=path, metavar="FILE", help="the figures as JSON")


def run(options, interrupts):
    """Do it."""
    for name in options.models or ():
        if name not in _MODELS:
            raise ValueError(f"--models must be some of {', '.join(_MODELS)}, got {name!r}")
    job = _options.job_of(options)
    if options.out is not None:
        _options.require_file(options.out)
    from fasttrain.cli import _comparing
    from fasttrain.cli._job import problem_of

    problem = problem_of(job)
    with _screen.progress() as bar:
        metric, lines = _comparing.compare(
            problem, options.metric, options.models, not options.no_peers, interrupts, bar.update
        )
    print(f"{problem.counts['left']} rows, {problem.X.shape[1]} columns, {job.n_folds} folds; {problem.task} of "
          f"{_screen.printable(repr(job.target))}")
    rows = []
    for line in lines:
        if line.error is None:
            figures = [_screen.score_of(line.score), _screen.score_of(line.spread), _screen.seconds_of(line.seconds)]
            rows.append([line.library, line.model, *figures, "" if line.converged else "not converged"])
        else:
            rows.append([line.library, line.model, "", "", "", "failed"])
    _screen.show_table(["library", "model", metric, "spread", "a fit", ""], rows, left=2)
    for line in lines:
        if line.error is not None:
            print(f"{line.library} {line.model}: {_screen.shortened(line.error, 200)}")
    if options.out is not None:
        import json

        from fasttrain._files.atomic import write_file

        summary = _comparing.summary_of(problem, metric, lines, _options.command_of(options))
        write_file(options.out, json.dumps(summary, indent=1).encode() + b"\n")
        print(f"Written to {options.out}")
