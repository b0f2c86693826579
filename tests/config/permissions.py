"""Sets the mode of a file, on Windows the equivalent access control list."""

import sys
from pathlib import Path

if sys.platform == "win32":
    import pywintypes
    import win32api
    import win32con
    import win32file
    import win32security

    def set_permissions(path: Path, mode: int) -> None:
        """Create the file again with another list: wine can only set the list of a new file."""
        content = path.read_bytes()
        path.unlink()
        token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
        user, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
        rights = f"D:P(A;;FA;;;{win32security.ConvertSidToStringSid(user)})" + "(A;;FR;;;WD)" * bool(mode & 0o044)
        attributes = pywintypes.SECURITY_ATTRIBUTES()
        attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
            rights, win32security.SDDL_REVISION_1
        )
        made = win32file.CreateFile(
            str(path), win32con.GENERIC_WRITE, 0, attributes, win32con.CREATE_NEW, win32con.FILE_ATTRIBUTE_NORMAL, None
        )
        win32file.WriteFile(made, content)
        made.Close()
else:

    def set_permissions(path: Path, mode: int) -> None:
        """Set the mode of the file."""
        path.chmod(mode)
