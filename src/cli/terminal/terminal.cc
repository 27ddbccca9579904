#include "cli/terminal/terminal.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>

#include "base/log.h"
#include "base/result.h"
#include "screen/painter.h"

namespace ringside::cli {
namespace {

constexpr std::byte kEscape{1};  // Ctrl-A

termios g_before, g_wanted;
std::atomic<bool> g_raw = false;
std::atomic<bool> g_is_drawn_on = false, g_was_left = false;

// Everything here down to go_on() is async-signal-safe (POSIX 2.4.3 has tcsetattr and poll).
void restore() {
  if (g_raw.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
}

// A terminal that takes nothing at the moment must not hold the end up.
void give_screen_back() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (g_is_drawn_on && ::poll(&output, 1, 0) > 0)
    (void)!::write(STDOUT_FILENO, screen::kGiveBack.data(), screen::kGiveBack.size());
}

bool is_ours() { return ::tcgetpgrp(STDIN_FILENO) == ::getpgrp(); }

// The signals that end a process on the spot. SIGTERM and its like end the main loop in order.
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGSYS, SIGTRAP};

void restore_and_die(int signal) {
  restore();
  give_screen_back();
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  ::raise(signal);
}

void stop(int) {
  const int saved = errno;
  restore();
  give_screen_back();
  ::raise(SIGSTOP);
  errno = saved;
}

// In the background the terminal is another's still; SIGCONT comes again when it is ours.
void go_on(int) {
  const int saved = errno;
  if (is_ours()) {
    g_raw = ::tcsetattr(STDIN_FILENO, TCSANOW, &g_wanted) == 0;
    g_was_left = true;
  }
  errno = saved;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

std::optional<KeyCommand> command_of(std::byte key) {
  switch (static_cast<char>(key)) {
    case 'h':
      return KeyCommand::ShowKeys;
    case 'd':
      return KeyCommand::StopGuest;
    case 'w':
      return KeyCommand::Wake;
    case 'x':
      return KeyCommand::End;
    default:
      return std::nullopt;
  }
}

// Of a file that is pasted into the terminal there may be any number before they are obeyed.
void remember(std::vector<KeyCommand>& commands, KeyCommand command) {
  constexpr std::size_t kMost = 64;
  if (commands.size() < kMost) {
    commands.push_back(command);
  } else if (command == KeyCommand::End) {
    commands.back() = command;
  }
}

void say_it_stays() {
  log::warning("the guest gets whole lines and no Ctrl keys: {}",
               Error::from_errno("the terminal's mode cannot be changed", errno).text());
}

}  // namespace

const std::string_view kKeys =
    "keys: Ctrl-A h        shows these\n"
    "keys: Ctrl-A d        stops the guest for a debugger, or lets it go on\n"
    "keys: Ctrl-A w        wakes a guest that sleeps (ACPI S3), by the power button\n"
    "keys: Ctrl-A x        ends the machine\n"
    "keys: Ctrl-A Ctrl-A   types a Ctrl-A; every other key is the guest's";

RawTerminal::RawTerminal() {
  if (::isatty(STDIN_FILENO) == 0 || !is_ours()) return;
  if (::tcgetattr(STDIN_FILENO, &g_before) != 0) {
    say_it_stays();
    return;
  }
  termios& raw = g_wanted;
  raw = g_before;
  // Output processing stays: our own lines on stderr need it, and guests do not mind.
  raw.c_iflag &= ~static_cast<tcflag_t>(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  for (const int signal : kFatal)
    handle(signal, restore_and_die);
  g_raw = true;
  active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  if (!active_) {
    say_it_stays();
    return;
  }
  handle(SIGTSTP, stop);
  handle(SIGCONT, go_on);
}

RawTerminal::~RawTerminal() {
  if (active_) {
    handle(SIGTSTP, SIG_DFL);
    handle(SIGCONT, SIG_DFL);
  }
  restore();
}

void draw_on_terminal(bool on) { g_is_drawn_on = on; }
bool terminal_was_left() { return g_was_left.exchange(false); }

std::vector<std::byte> KeyFilter::filter(std::span<const std::byte> typed) {
  std::vector<std::byte> result;
  for (const std::byte key : typed) {
    if (!after_escape_ && key == kEscape) {
      after_escape_ = true;
      continue;
    }
    if (after_escape_) {
      if (const std::optional<KeyCommand> command = command_of(key)) remember(commands_, *command);
    }
    // A second Ctrl-A is one for the guest; anything else was no command.
    if (!after_escape_ || key == kEscape) result.push_back(key);
    after_escape_ = false;
  }
  return result;
}

}  // namespace ringside::cli
