# cause: env-api-removed
from PIL import Image
image = Image.new("RGB", (64, 64))
image = image.resize((32, 32), Image.ANTIALIAS)
