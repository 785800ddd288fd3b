"""Parts that several tests share: accounts, projects, processes, stand-ins."""
