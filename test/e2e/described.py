"""Is all that schema/openapi.yaml describes there?  What no test of a whole run has seen is named.

usage: described.py FOLDER - with what each session has written down (PCAPLINE_SEEN)
"""
import pathlib
import sys

from rig.openapi import Description

# Seen by no test, for this reason.
UNSEEN = {
    "field #/components/schemas/AuditRecord.data_left_out": "no request is long enough; unit/test_audit.c",
    "status POST /v1/login/token 502": "an issuer that answers nonsense; unit/test_page_login.c",
    "status POST /v1/admin/halt 500": "a disk that fails just then; unit/test_stop_switch.c",
}


def main():
    folder = pathlib.Path(sys.argv[1])
    seen = set().union(*(f.read_text().split("\n") for f in folder.glob("*.seen")))
    described = Description.load().described()
    missing = sorted(described - seen - set(UNSEEN))
    for name in missing:
        print(f"described, and never seen: {name}")
    for name in sorted(set(UNSEEN) & seen):
        print(f"seen, although it is said not to be: {name}")
    print(f"{len(described & seen)} of {len(described)} operations, statuses and fields of the API seen, {len(UNSEEN)} known not to be")
    return bool(missing or set(UNSEEN) & seen)


sys.exit(main())
