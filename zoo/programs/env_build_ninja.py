# cause: env-build
from torch.utils.cpp_extension import load
with open("nms.cpp", "w") as file:
    file.write("int area(int w, int h) { return w * hh; }\n")
ext = load(name="fast_nms", sources=["nms.cpp"], verbose=True, build_directory=".")
