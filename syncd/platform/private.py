"""Creates files and pipes that are private to this user from the moment they exist."""

import os
import sys

from syncd.platform.files import SAFE_OPEN_FLAGS

if sys.platform == "win32":
    import msvcrt
    from typing import Any

    import pywintypes
    import win32api
    import win32con
    import win32file
    import win32security

    def access() -> Any:
        """Return security attributes for a new object: access for this user, administrators and the system only."""
        token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
        user, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
        sid = win32security.ConvertSidToStringSid(user)
        attributes = pywintypes.SECURITY_ATTRIBUTES()
        attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
            f"D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{sid})", win32security.SDDL_REVISION_1
        )
        return attributes

    def create(path: str) -> int:
        """Create a new file and return its descriptor, for writing. Raises OSError."""
        try:
            handle = win32file.CreateFile(path, win32con.GENERIC_WRITE, 0, access(), win32con.CREATE_NEW, 0, None)
        except pywintypes.error as error:
            raise OSError(None, error.strerror, path, error.winerror) from None
        return msvcrt.open_osfhandle(int(handle.Detach()), os.O_WRONLY | SAFE_OPEN_FLAGS)

else:

    def create(path: str) -> int:
        """Create a new file and return its descriptor, for writing. Raises OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE_OPEN_FLAGS, 0o600)
