"""What several tests share: accounts, projects, processes, stand-ins."""
