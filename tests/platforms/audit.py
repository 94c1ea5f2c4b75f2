"""What is known against the packages of an environment; says so where nobody could be asked.

    make audit
    python tests/platforms/audit.py PATH-OF-SITE-PACKAGES

pip-audit asks PyPI's advisories of each package, or OSV's. A mirror of PyPI has none, and pip-audit then finds no fault
in what it has not looked at. A package that was not looked at is a line here; where that is all of them, nothing has
been audited, which with ``--strict`` is an error, as in the nightly workflow.
"""

import argparse
import json
import subprocess
import sys


def asked(path, service):
    """(packages by pip-audit, why none were asked about)."""
    command = [sys.executable, "-m", "pip_audit", "--path", path, "--skip-editable", "--progress-spinner=off",
               "--vulnerability-service", service, "--format=json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return json.loads(done.stdout)["dependencies"], ""
    except subprocess.TimeoutExpired:
        return [], "no answer in 300 s"
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--strict", action="store_true")
    given = parser.parse_args(arguments)
    for service in ("pypi", "osv"):
        packages, reason = asked(given.path, service)
        known = [each for each in packages if "skip_reason" not in each]
        if known:
            break
        reason = reason or packages[0]["skip_reason"] if packages or reason else "no packages there"
        print(f"left out: {service} could not be asked: {reason}")
    else:
        print("nothing was audited: run it where the advisories of PyPI or OSV can be reached")
        return 1 if given.strict else 0
    for each in packages:
        if "skip_reason" in each and each["name"] != "fasttrain":
            print(f"left out: {each['name']}: {each['skip_reason']}")
        for advisory in each.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no release"
            print(f"{each['name']} {each['version']}: {advisory['id']}, mended in {fixed}")
    bad = sum(bool(each.get("vulns")) for each in packages)
    print(f"{len(known)} packages audited, {bad} with known vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
