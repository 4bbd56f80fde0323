"""What the tests share: reference cases, random networks, and a second implementation to compare with."""
