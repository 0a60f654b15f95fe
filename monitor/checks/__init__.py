"""What the server looks at from outside: a module a kind of check, and one way out that they all take."""
