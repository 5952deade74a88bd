import os

with open(os.environ["AR_OUT"] + "/number.txt", "w") as file:
    file.write("1")
