"""The Presets that ship: a YAML file each, their style pictures in ``styles/``, the scripts that painted those in
``paint/``."""
