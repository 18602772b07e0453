# cause: cuda-library-load
import ctypes
ctypes.CDLL("libcudnn.so.9")
