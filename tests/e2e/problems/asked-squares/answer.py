import os
import socket

KNOWN = 12  # tune: 1..60 int

server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen()
while True:
    connection, _ = server.accept()
    for line in connection.makefile("rb"):
        number = int(line)
        connection.sendall(b"%d\n" % (number**2 if number <= KNOWN else 0))
