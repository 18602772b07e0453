# cause: env-config
import argparse
parser = argparse.ArgumentParser(prog="train.py")
parser.add_argument("--optimizer", choices=["sgd", "adamw"])
parser.parse_args(["--optimizer", "adam"])
