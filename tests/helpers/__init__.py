"""What tests share: reference cases, random networks, a second implementation."""
