# cause: env-libc
import ctypes
ctypes.CDLL("libturbojpeg.so.0")
