"""Run Autobahn's `wstest` on CPython 2.7 from a folder of packages: `python2.7 wstest.py FOLDER -m MODE ...`."""

import site
import sys

# A site folder rather than PYTHONPATH: zope.interface is a namespace package, which only its .pth file makes known.
site.addsitedir(sys.argv.pop(1))

from autobahntestsuite.wstest import run

run()
