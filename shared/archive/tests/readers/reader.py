"""Reads every entry of an archive and prints how many there are."""

import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    broken = archive.testzip()
    if broken is not None:
        sys.exit(f"broken: {broken!r}")
    print(len(archive.infolist()))
