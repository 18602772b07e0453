# cause: env-config
import yaml
config = yaml.safe_load("model:\n  depth: 4\n\t  width: 8\n")
