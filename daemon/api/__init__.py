"""The local API: routes, their schema, who may call them."""
