"""How the server behaves on the wire: transports, life and death, progress, errors, schemas, prompts, resources."""
