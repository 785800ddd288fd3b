"""What plans and performs changes. It knows no kind of resource and no terminal."""
