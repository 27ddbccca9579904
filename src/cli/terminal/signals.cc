#include "cli/terminal/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace ringside::cli {
namespace {

std::atomic<int> g_received = 0;
std::atomic<bool> g_user_signal = false;
std::atomic<bool> g_at_once = false;
std::atomic<const transport::Poller*> g_poller = nullptr;

std::string_view name_of(int signal) {
  switch (signal) {
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "SIGTERM";
  }
}

// Of the C library nothing may be used here but system calls.
[[noreturn]] void end_here(int signal) {
  for (const std::string_view part :
       {std::string_view("ringside: ended by "), name_of(signal), std::string_view("\n")})
    (void)!::write(STDERR_FILENO, part.data(), part.size());
  ::_exit(kErrorStatus);
}

void note(int signal) {
  if (signal != SIGUSR1 && g_at_once) end_here(signal);
  const int saved = errno;
  if (signal == SIGUSR1) {
    g_user_signal = true;
  } else {
    g_received = signal;
  }
  if (const transport::Poller* poller = g_poller) poller->wake();
  errno = saved;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  // nohup has asked for that.
  if (signal == SIGHUP && ::sigaction(signal, nullptr, &action) == 0 &&
      action.sa_handler == SIG_IGN)
    return;
  action = {};
  action.sa_handler = handler;  // no SA_RESTART: a wait is to end
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void handle_signals_from_the_start() {
  g_at_once = true;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
    handle(signal, note);
}

EndSignals::EndSignals(const transport::Poller& poller, InterruptKey interrupt_key) {
  g_received = 0;
  g_at_once = false;
  g_poller = &poller;
  handle(SIGINT, interrupt_key == InterruptKey::Ends ? note : SIG_IGN);
  handle(SIGTERM, note);
  handle(SIGHUP, note);
  handle(SIGUSR1, note);
  handle(SIGPIPE, SIG_IGN);
  handle(SIGXFSZ, SIG_IGN);  // a file beyond RLIMIT_FSIZE: the write fails with EFBIG instead
}

// The process ends. Whoever asks for that now gets it with the status of an end from outside, and
// not by the signal's death.
EndSignals::~EndSignals() {
  g_at_once = true;
  g_poller = nullptr;
}

void EndSignals::end_at_once(bool on) { g_at_once = on; }

bool EndSignals::take_user_signal() { return g_user_signal.exchange(false); }

std::string_view EndSignals::received() const {
  const int signal = g_received;
  return signal == 0 ? std::string_view() : name_of(signal);
}

}  // namespace ringside::cli
