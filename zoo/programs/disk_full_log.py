# cause: disk-full
with open("/dev/full", "w") as log:
    for step in range(10_000):
        log.write(f"step {step} loss 0.1\n" * 10)
