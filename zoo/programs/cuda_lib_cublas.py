# cause: cuda-library-load
import ctypes
ctypes.cdll.LoadLibrary("libcublasLt.so.12")
