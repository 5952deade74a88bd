from pathlib import Path

MORE = 0

number = int(Path("data/start.txt").read_text()) + MORE
Path("data/log.txt").write_text(f"number {number}\n")
print("number:", number)
