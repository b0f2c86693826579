"""Runs a command in a console of Windows; reads its output and presses keys."""

import contextlib
import ctypes
import msvcrt
import os
import re
import subprocess
import sys
import threading
from ctypes import wintypes

import win32job

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.CreatePseudoConsole.argtypes = [
    wintypes.DWORD,
    wintypes.HANDLE,
    wintypes.HANDLE,
    wintypes.DWORD,
    ctypes.POINTER(wintypes.HANDLE),
]
_kernel32.ClosePseudoConsole.argtypes = [wintypes.HANDLE]
_kernel32.UpdateProcThreadAttribute.argtypes = [
    ctypes.c_void_p,
    wintypes.DWORD,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_void_p,
]
_PSEUDOCONSOLE = 0x00020016
_EXTENDED, _UNICODE = 0x00080000, 0x00000400
INSIDE = """
import os, subprocess, sys
streams = [os.open(name, os.O_RDWR | os.O_BINARY) for name in ("CONIN$", "CONOUT$", "CONOUT$")]
command = [sys.executable, "-m", "syncd", *sys.argv[1:]]
sys.exit(subprocess.call(command, **dict(zip(("stdin", "stdout", "stderr"), streams))))
"""
"""Under wine a program keeps its parent's streams in any console, so it opens those of its console first."""


class _StartupInfo(ctypes.Structure):
    _fields_ = [
        ("cb", wintypes.DWORD),
        *((name, wintypes.LPWSTR) for name in ("lpReserved", "lpDesktop", "lpTitle")),
        *((name, wintypes.DWORD) for name in ("dwX", "dwY", "dwXSize", "dwYSize", "dwXCountChars", "dwYCountChars")),
        *((name, wintypes.DWORD) for name in ("dwFillAttribute", "dwFlags")),
        ("wShowWindow", wintypes.WORD),
        ("cbReserved2", wintypes.WORD),
        ("lpReserved2", ctypes.c_void_p),
        *((name, wintypes.HANDLE) for name in ("hStdInput", "hStdOutput", "hStdError")),
        ("lpAttributeList", ctypes.c_void_p),
    ]


class _ProcessInformation(ctypes.Structure):
    _fields_ = [
        ("hProcess", wintypes.HANDLE),
        ("hThread", wintypes.HANDLE),
        ("dwProcessId", wintypes.DWORD),
        ("dwThreadId", wintypes.DWORD),
    ]


def _checked(done):
    if not done:
        raise ctypes.WinError(ctypes.get_last_error())


class Console:
    """Runs a command of syncd in a separate console until the context ends."""

    def __init__(self, *arguments, size=(80, 24)):
        theirs_in, self._keys = os.pipe()
        self._screen, theirs_out = os.pipe()
        self._console = wintypes.HANDLE()
        ends = [msvcrt.get_osfhandle(end) for end in (theirs_in, theirs_out)]
        failed = _kernel32.CreatePseudoConsole(size[1] << 16 | size[0], *ends, 0, ctypes.byref(self._console))
        assert failed == 0, hex(failed & 0xFFFF_FFFF)
        os.close(theirs_in)
        os.close(theirs_out)
        self.raw = b""
        threading.Thread(target=self._read, daemon=True).start()  # wine leaves its end of the pipe open
        command = [sys.executable, "-c", INSIDE, *map(str, arguments)]
        self._process = wintypes.HANDLE(self._start(subprocess.list2cmdline(command)))
        self._job = win32job.CreateJobObject(None, "")
        win32job.AssignProcessToJobObject(self._job, self._process.value)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        win32job.TerminateJobObject(self._job, 1)
        self._job.Close()
        _kernel32.CloseHandle(self._process)
        _kernel32.ClosePseudoConsole(self._console)
        os.close(self._keys)

    def shows(self, text):
        """Return whether the console has shown ``text``, ignoring escape sequences."""
        return text in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode(errors="replace"))

    def press(self, keys):
        os.write(self._keys, keys)

    def wait(self, seconds):
        """Wait for the end, and return the exit code."""
        assert _kernel32.WaitForSingleObject(self._process, round(seconds * 1000)) == 0, self.raw
        code = wintypes.DWORD()
        _checked(_kernel32.GetExitCodeProcess(self._process, ctypes.byref(code)))
        return code.value

    def _start(self, line):
        size = ctypes.c_size_t()
        _kernel32.InitializeProcThreadAttributeList(None, 1, 0, ctypes.byref(size))
        attributes = ctypes.create_string_buffer(size.value)
        _checked(_kernel32.InitializeProcThreadAttributeList(attributes, 1, 0, ctypes.byref(size)))
        length = ctypes.sizeof(wintypes.HANDLE)
        _checked(_kernel32.UpdateProcThreadAttribute(attributes, 0, _PSEUDOCONSOLE, self._console, length, None, None))
        begin = _StartupInfo(cb=ctypes.sizeof(_StartupInfo), lpAttributeList=ctypes.addressof(attributes))
        made = _ProcessInformation()
        flags = _EXTENDED | _UNICODE
        ends = ctypes.byref(begin), ctypes.byref(made)
        _checked(_kernel32.CreateProcessW(None, line, None, None, False, flags, None, None, *ends))
        _kernel32.CloseHandle(wintypes.HANDLE(made.hThread))
        return made.hProcess

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self._screen, 65_536):
                self.raw += data
