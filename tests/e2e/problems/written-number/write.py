import os

with open(os.path.join(os.environ["AR_OUT"], "number.txt"), "w") as file:
    file.write("1")
