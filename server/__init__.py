"""The process: settings, HTTP, authentication, the command line. The one place where everything is wired together."""
