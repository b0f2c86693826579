"""A console of Windows with nobody in front of it: what is written there can be read, and keys can be pressed."""

import ctypes
import msvcrt
import os
import subprocess
import threading
from ctypes import wintypes

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
    """A program in a console of its own."""

    def __init__(self, *command, size=(80, 24)):
        theirs_in, self._keys = os.pipe()
        self._screen, theirs_out = os.pipe()
        self._console = wintypes.HANDLE()
        width, height = size
        failed = _kernel32.CreatePseudoConsole(
            height << 16 | width,
            msvcrt.get_osfhandle(theirs_in),
            msvcrt.get_osfhandle(theirs_out),
            0,
            ctypes.byref(self._console),
        )
        assert failed == 0, hex(failed & 0xFFFF_FFFF)
        os.close(theirs_in)
        os.close(theirs_out)
        self.raw = b""
        self._process = self._start(subprocess.list2cmdline(command))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _start(self, line):
        size = ctypes.c_size_t()
        _kernel32.InitializeProcThreadAttributeList(None, 1, 0, ctypes.byref(size))
        attributes = ctypes.create_string_buffer(size.value)
        _checked(_kernel32.InitializeProcThreadAttributeList(attributes, 1, 0, ctypes.byref(size)))
        _checked(
            _kernel32.UpdateProcThreadAttribute(
                attributes, 0, _PSEUDOCONSOLE, self._console, ctypes.sizeof(wintypes.HANDLE), None, None
            )
        )
        started = _StartupInfo(cb=ctypes.sizeof(_StartupInfo), lpAttributeList=ctypes.addressof(attributes))
        made = _ProcessInformation()
        _checked(
            _kernel32.CreateProcessW(
                None, line, None, None, False, _EXTENDED | _UNICODE, None, None, ctypes.byref(started), ctypes.byref(made)
            )
        )
        return made.hProcess

    def _read(self):
        while True:
            try:
                data = os.read(self._screen, 65536)
            except OSError:
                return
            if not data:
                return
            self.raw += data

    def press(self, keys):
        os.write(self._keys, keys)

    def wait(self, seconds):
        _kernel32.WaitForSingleObject(wintypes.HANDLE(self._process), int(seconds * 1000))
        code = wintypes.DWORD()
        _checked(_kernel32.GetExitCodeProcess(wintypes.HANDLE(self._process), ctypes.byref(code)))
        return code.value

    def close(self):
        _kernel32.ClosePseudoConsole(self._console)
        self._reader.join(5)
