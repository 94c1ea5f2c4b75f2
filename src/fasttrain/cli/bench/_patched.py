"""The process of a patched script: ``python -m fasttrain.cli.bench._patched RECORD SCRIPT ...`` runs it under the patch
and writes to RECORD, as JSON, which calls scikit-learn served after all, and how often each."""

import atexit
import json
import logging
import sys
from collections import Counter


class Served(logging.Handler):
    """Counts the patch's lines about calls that scikit-learn served."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.counts = Counter()

    def emit(self, record):
        text = record.getMessage()
        if "is served by scikit-learn" in text or "derives from scikit-learn's class" in text:
            self.counts[text] += 1


def main(record, script, arguments):
    """Run it."""
    served = Served()
    logger = logging.getLogger("fasttrain")
    logger.addHandler(served)
    logger.setLevel(logging.INFO)
    # a script that sets up logging of its own shall print what it prints without this
    logger.propagate = False

    def write():
        with open(record, "w", encoding="utf-8") as file:
            json.dump(served.counts, file)

    atexit.register(write)
    from fasttrain.patch import run_script

    run_script(script, arguments)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
