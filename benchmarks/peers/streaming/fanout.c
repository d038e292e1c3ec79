/* The bound: C that hands each frame from upstream to every client, one send() a frame, or (argument "joined") one
   send() for all that has arrived. No handshake: whoever connects is a client and reads frames.
   `fanout UPSTREAM_PORT CLIENTS single|joined`; prints its own port. Build: gcc -O2 -o fanout fanout.c */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 8192, ROOM = 1 << 20 };
static int clients[MOST], count;

static void send_all(const unsigned char *data, size_t size) {
    for (int n = 0; n < count; n++) {
        size_t sent = 0;
        while (sent < size) {
            ssize_t now = send(clients[n], data + sent, size - sent, MSG_NOSIGNAL);
            if (now <= 0) exit(0);
            sent += now;
        }
    }
}

/* The length of the frame at `data`, header included; 0 when it isn't whole. */
static size_t frame_size(const unsigned char *data, size_t have) {
    if (have < 4) return 0;
    size_t size = data[1] < 126 ? 2u + data[1] : 4u + (data[2] << 8 | data[3]);
    return size <= have ? size : 0;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), up = socket(AF_INET, SOCK_STREAM, 0);
    int wanted = argc > 2 ? atoi(argv[2]) : 0, joined = argc > 3 && !strcmp(argv[3], "joined");
    if (wanted < 1 || wanted > MOST) return 2;
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&at, &length);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    while (count < wanted) {
        clients[count] = accept(listener, 0, 0);
        setsockopt(clients[count++], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    at.sin_port = htons(atoi(argv[1]));
    if (connect(up, (struct sockaddr *)&at, sizeof at)) return 1;

    static unsigned char buffer[ROOM];
    size_t have = 0;
    for (;;) {
        ssize_t got = recv(up, buffer + have, ROOM - have, 0);
        if (got <= 0) return 0;
        have += got;
        size_t done = 0, size;
        while ((size = frame_size(buffer + done, have - done))) {
            if (!joined) send_all(buffer + done, size);
            done += size;
        }
        if (joined && done) send_all(buffer, done);
        memmove(buffer, buffer + done, have -= done);
    }
}
