"""Django's command-line utility for the project."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from testkit import journal

journal.write("manage", "begun")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
