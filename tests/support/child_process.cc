#include "support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace ringside::testing {
namespace {

struct PipeEnds {
  Fd read, write;
};

PipeEnds make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) : name_(command.front()) {
  PipeEnds input = make_pipe(), output = make_pipe(), error = make_pipe(), started = make_pipe();
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no orphan when a test run is cut short
    ::dup2(input.read.get(), 0);
    ::dup2(output.write.get(), 1);
    ::dup2(error.write.get(), 2);
    ::execvp(arguments[0], arguments.data());
    const int reason = errno;
    [[maybe_unused]] const auto written = ::write(started.write.get(), &reason, sizeof reason);
    ::_exit(127);
  }
  started.write.reset();
  int reason = 0;
  if (::read(started.read.get(), &reason, sizeof reason) == sizeof reason) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    throw std::runtime_error("cannot start " + name_ + ": " + std::strerror(reason));
  }
  input_ = std::move(input.write);
  output_.fd = std::move(output.read);
  error_.fd = std::move(error.read);
  for (const int fd : {output_.fd.get(), error_.fd.get()})
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::signal(SIGPIPE, SIG_IGN);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !status_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void ChildProcess::write_input(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(input_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::runtime_error(name_ + " does not take input");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool ChildProcess::fill(Stream stream, const Deadline& deadline) {
  for (;;) {
    pollfd entries[2] = {{output_.fd.get(), POLLIN, 0}, {error_.fd.get(), POLLIN, 0}};
    const int ready = ::poll(entries, 2, deadline.left());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return true;
    bool progress = false, ended = false;
    for (const Stream each : {Stream::Output, Stream::Error}) {
      Pipe& p = pipe(each);
      if (!p.fd) continue;
      std::array<char, 4096> buffer;
      const ssize_t n = ::read(p.fd.get(), buffer.data(), buffer.size());
      if (n > 0) p.text.append(buffer.data(), static_cast<std::size_t>(n));
      if (n == 0) p.fd.reset();
      if (each == stream) {
        progress = n > 0;
        ended = n == 0;
      }
    }
    if (progress) return true;
    if (ended || !pipe(stream).fd) return false;
  }
}

const std::string& ChildProcess::text(Stream stream) {
  const Deadline now{std::chrono::milliseconds(0)};
  for (std::size_t before = ~std::size_t{0}; pipe(stream).text.size() != before;) {
    before = pipe(stream).text.size();
    if (!pipe(stream).fd || !fill(stream, now)) break;
  }
  return pipe(stream).text;
}

void ChildProcess::await_more(Stream stream, const Deadline& deadline) {
  const std::size_t before = pipe(stream).text.size();
  const bool open = pipe(stream).fd && fill(stream, deadline);
  if (pipe(stream).text.size() != before) return;
  throw std::runtime_error(name_ + (open ? " is late" : " ended") + "; it said: " + output_.text +
                           "\nand: " + error_.text);
}

void ChildProcess::await_any(const Deadline& deadline) {
  const std::size_t before = output_.text.size() + error_.text.size();
  if (output_.fd && error_.fd) {
    pollfd entries[2] = {{output_.fd.get(), POLLIN, 0}, {error_.fd.get(), POLLIN, 0}};
    (void)::poll(entries, 2, deadline.left());
  }
  text(Stream::Output);
  text(Stream::Error);
  if (output_.text.size() + error_.text.size() != before) return;
  const bool open = output_.fd && error_.fd;
  if (!open || deadline.passed()) {
    throw std::runtime_error(name_ + (open ? " is late" : " ended") + "; it said: " + output_.text +
                             "\nand: " + error_.text);
  }
}

void ChildProcess::await(Stream stream, std::string_view text, const Deadline& deadline) {
  while (pipe(stream).text.find(text) == std::string::npos) {
    const bool open = pipe(stream).fd && fill(stream, deadline);
    if (pipe(stream).text.find(text) != std::string::npos) return;
    if (!open || deadline.passed()) {
      throw std::runtime_error(name_ + (open ? " is late with \"" : " ended without \"") +
                               std::string(text) + "\"; it said: " + output_.text +
                               "\nand: " + error_.text);
    }
  }
}

std::string ChildProcess::await_line(Stream stream, std::string_view start,
                                     const Deadline& deadline) {
  await(stream, start, deadline);
  const std::size_t at = pipe(stream).text.find(start);
  for (;;) {
    const std::string& all = pipe(stream).text;
    if (const std::size_t end = all.find('\n', at); end != std::string::npos)
      return all.substr(at, end - at);
    if (!pipe(stream).fd || !fill(stream, deadline) || deadline.passed())
      throw std::runtime_error(name_ + " does not finish its line: " + all.substr(at));
  }
}

bool ChildProcess::running() {
  if (status_) return false;
  int status;
  rusage used{};
  if (::wait4(pid_, &status, WNOHANG, &used) != pid_) return true;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  processor_time_ = seconds(used.ru_utime) + seconds(used.ru_stime);
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int ChildProcess::await_exit(Reading reading, const Deadline& deadline) {
  if (status_ || !running()) return *status_;
  // A descriptor of the process is readable when it ends. Streams are drained meanwhile, so that
  // the child does not wait for a full pipe.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  for (;;) {
    pollfd entries[3] = {
        {process.get(), POLLIN, 0}, {output_.fd.get(), POLLIN, 0}, {error_.fd.get(), POLLIN, 0}};
    const bool reads = reading == Reading::On;
    const int ready = ::poll(entries, reads ? 3 : 1, deadline.left());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) throw std::runtime_error(name_ + " does not end; it said: " + error_.text);
    if (reads && output_.fd) text(Stream::Output);
    if (reads && error_.fd) text(Stream::Error);
    if (!running()) return *status_;
  }
}

void ChildProcess::await_busy(const Deadline& deadline) {
  // Of all threads: on KVM the guest is in others than the first.
  const auto used_ns = [this] {
    std::uint64_t sum = 0;
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task", gone)) {
      std::ifstream stream(thread.path() / "schedstat");
      std::uint64_t used = 0;
      if (stream >> used) sum += used;
    }
    return sum;
  };
  constexpr std::uint64_t kBusy = 5'000'000;
  for (const std::uint64_t before = used_ns(); used_ns() < before + kBusy;) {
    if (deadline.passed()) throw std::runtime_error(name_ + " has nothing to do");
    ::sched_yield();
  }
}

void ChildProcess::kill(int signal) {
  if (running()) ::kill(pid_, signal);
}

}  // namespace ringside::testing
