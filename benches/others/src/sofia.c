/* Reads a message by sofia-sip as often as it is told, and prints what it has read. Each line of
 * its input is a number; it answers with the nanoseconds that so many readings took. With a number
 * as its second argument it reads so often and ends, for valgrind to count. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

static char bytes[65536];
static size_t length;
static volatile uint32_t seen;

static const char *text(const char *value) { return value ? value : "-"; }

/* Everything that the readers in Rust read, and the release of it. */
__attribute__((noinline)) void under_callgrind(int print) {
  msg_t *message = msg_make(sip_default_mclass(), 0, bytes, (ssize_t)length);
  sip_t const *sip = sip_object(message);
  if (!sip || !sip->sip_request || !sip->sip_via || !sip->sip_from || !sip->sip_to ||
      !sip->sip_call_id || !sip->sip_cseq || !sip->sip_max_forwards || !sip->sip_contact) {
    fprintf(stderr, "sofia-sip does not read the sample\n");
    exit(1);
  }
  unsigned routes = 0;
  for (sip_record_route_t const *at = sip->sip_record_route; at; at = at->r_next) {
    routes++;
  }
  for (sip_route_t const *at = sip->sip_route; at; at = at->r_next) {
    routes++;
  }
  seen += sip->sip_cseq->cs_seq + routes;
  if (print) {
    printf("%s %s %s %s %s %s %s %" PRIu32 " %lu %s %u\n",
           text(sip->sip_request->rq_url->url_user), text(sip->sip_via->v_branch),
           text(sip->sip_from->a_url->url_user), text(sip->sip_from->a_tag),
           text(sip->sip_to->a_url->url_user), text(sip->sip_to->a_tag),
           text(sip->sip_call_id->i_id), sip->sip_cseq->cs_seq,
           sip->sip_max_forwards->mf_count, text(sip->sip_contact->m_url->url_user), routes);
    fflush(stdout);
  }
  msg_destroy(message);
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void repeat(unsigned long times) {
  while (times--) {
    under_callgrind(0);
  }
}

int main(int count, char **arguments) {
  FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
  if (!file) {
    fprintf(stderr, "usage: sofia FILE [TIMES]\n");
    return 2;
  }
  length = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  if (count > 2) {
    repeat(strtoul(arguments[2], NULL, 10));
    return 0;
  }
  under_callgrind(1);
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    uint64_t start = nanoseconds();
    repeat(strtoul(line, NULL, 10));
    printf("%" PRIu64 "\n", nanoseconds() - start);
    fflush(stdout);
  }
  return 0;
}
