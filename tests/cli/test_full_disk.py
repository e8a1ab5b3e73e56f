"""A full disk, wherever a command meets it, is one line and exit code 2."""

import errno

import pytest

from svc.cli.app import run_app
from svc.errors import FULL_DISK


def failing(error: OSError):
    def program(**_arguments) -> None:
        raise error

    return program


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file(number, capsys):
    with pytest.raises(SystemExit) as ended:
        run_app(failing(OSError(number, "No space left on device", "out/report.html")))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"svc: out/report.html: {FULL_DISK}\n"


def test_other_errors_are_not_hidden():
    with pytest.raises(PermissionError):
        run_app(failing(PermissionError(errno.EACCES, "Permission denied")))
