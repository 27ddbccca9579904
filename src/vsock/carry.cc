#include "vsock/carry.h"

#include <poll.h>

#include <cerrno>
#include <vector>

#include "transport/message_stream.h"
#include "vsock/line.h"

namespace ringside::vsock {
namespace {

using transport::MessageReader;

// False: it cannot wait. A signal is as if nothing had come.
bool wait_for(std::vector<pollfd>& polled, int timeout) {
  if (::poll(polled.data(), polled.size(), timeout) >= 0) return true;
  if (errno != EINTR) return false;
  for (pollfd& entry : polled)
    entry.revents = 0;
  return true;
}

}  // namespace

// Whoever does not take any more may have said something before.
LineEnd carry(int line, Exchange& exchange, Door& door, int caller) {
  MessageReader reader;
  std::vector<pollfd> polled;
  for (;;) {
    (void)exchange.out().flush(line);
    const int wanted = exchange.out().empty() ? POLLIN : POLLIN | POLLOUT;
    const int next = exchange.has_place() ? door.descriptor() : -1;
    polled.assign({{line, static_cast<short>(wanted), 0}, {next, POLLIN, 0}, {caller, 0, 0}});
    const int timeout = exchange.prepare(polled, Clock::now());
    if (!wait_for(polled, timeout)) return LineEnd::Cut;
    exchange.proceed(std::span(polled).subspan(3), Clock::now());
    if (polled[1].revents != 0) door.open(exchange);
    if (polled[2].revents != 0) {
      exchange.out().put_message(Notice{Notice::What::NobodyCalls}.bytes());
      caller = -1;
    }
    const bool is_over =
        polled[0].revents != 0 &&
        reader.receive(line, MessageReader::Waiting::No) == MessageReader::Received::End;
    while (const auto message = reader.next()) {
      if (says_that_machine_has_ended(*message)) return LineEnd::InOrder;
      exchange.take(*message, Clock::now());
    }
    if (is_over || reader.is_broken()) return LineEnd::Cut;
  }
}

void give_what_is_left(Exchange& exchange, Clock::time_point until) {
  exchange.end();
  std::vector<pollfd> polled;
  while (exchange.owes()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return;
    polled.clear();
    (void)exchange.prepare(polled, Clock::now());
    if (!wait_for(polled, static_cast<int>(left.count()))) return;
    exchange.proceed(polled, Clock::now());
  }
}

}  // namespace ringside::vsock
