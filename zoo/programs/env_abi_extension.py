# cause: env-abi
import pathlib, subprocess, ctypes
pathlib.Path("ext.c").write_text("extern void *_ZN3c106detail14torchCheckFailEPKcS2_jS2_(void); void *f(void) { return _ZN3c106detail14torchCheckFailEPKcS2_jS2_(); }")
subprocess.run(["cc", "-shared", "-fPIC", "-o", "nms_ext.so", "ext.c"], check=True)
print("loading nms_ext.so")
ctypes.CDLL("./nms_ext.so", ctypes.RTLD_GLOBAL | 2)
