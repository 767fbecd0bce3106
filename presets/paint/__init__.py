"""The style pictures, painted by script: ``python -m presets.paint [NAME...]`` writes ``presets/styles/NAME.jpg``."""
