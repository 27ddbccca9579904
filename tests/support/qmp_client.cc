#include "support/qmp_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "transport/unix_address.h"

namespace ringside::testing {

QmpClient::QmpClient(const std::string& path)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = transport::unix_address(path);
  if (!address) throw std::runtime_error(address.error().text());
  if (::connect(fd_.get(), address->any(), address->kSize) != 0)
    throw std::runtime_error("cannot connect to " + path + ": " + std::strerror(errno));
}

void QmpClient::send(std::string_view bytes, int descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  while (!bytes.empty()) {
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* const rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof descriptor);
      std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
    }
    const ssize_t count = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (count < 0) throw std::runtime_error(std::string("sendmsg: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
    descriptor = -1;
  }
}

std::string QmpClient::receive(const Deadline& deadline) {
  for (;;) {
    if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (line.empty() || line.back() != '\r') throw std::runtime_error("no CR LF: " + line);
      line.pop_back();
      return line;
    }
    if (!wait_readable(fd_.get(), deadline)) throw std::runtime_error("no line but: " + input_);
    char buffer[65536];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (count <= 0) throw std::runtime_error("the connection has ended after: " + input_);
    input_.append(buffer, static_cast<std::size_t>(count));
  }
}

QmpClient& QmpClient::begin() {
  const std::string greeting = receive();
  if (greeting.find("{\"QMP\": ") != 0) throw std::runtime_error("no greeting: " + greeting);
  if (const std::string answer = ask("{\"execute\":\"qmp_capabilities\"}\r\n"); answer != kDone)
    throw std::runtime_error(answer);
  return *this;
}

bool QmpClient::note_event(const std::string& line) {
  constexpr std::string_view kEvent = "\"event\": \"";
  if (line.find("{\"timestamp\": ") != 0) return false;
  const std::size_t at = line.find(kEvent) + kEvent.size();
  events_.push_back(line.substr(at, line.find('"', at) - at));
  return true;
}

std::string QmpClient::ask(std::string_view bytes, int descriptor) {
  send(bytes, descriptor);
  for (;;) {
    std::string line = receive();
    if (!note_event(line)) return line;
  }
}

std::string QmpClient::run(const std::string& command, const std::string& arguments,
                           int descriptor) {
  std::string line = "{\"execute\": \"" + command + "\"";
  if (!arguments.empty()) line += ", \"arguments\": {" + arguments + "}";
  return ask(line + "}\n", descriptor);
}

std::string QmpClient::monitor(const std::string& line) {
  constexpr std::string_view kStart = "{\"return\": \"";
  const std::string answer = run("human-monitor-command", "\"command-line\": \"" + line + "\"");
  if (answer.find(kStart) != 0) throw std::runtime_error(answer);
  std::string text;
  for (std::size_t at = kStart.size(); at < answer.size() && answer[at] != '"'; ++at) {
    if (answer[at] != '\\') {
      text += answer[at];
    } else {
      const char c = answer[++at];
      text += c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
  }
  return text;
}

std::vector<std::string> QmpClient::take_events() { return std::exchange(events_, {}); }

void QmpClient::await_event(const std::string& name) {
  while (events_.empty()) {
    if (const std::string line = receive(); !note_event(line))
      throw std::runtime_error("no event: " + line);
  }
  if (events_.front() != name) throw std::runtime_error("another event: " + events_.front());
  events_.erase(events_.begin());
}

void QmpClient::await_close() {
  const Deadline deadline;
  for (char buffer[4096];;) {
    if (!wait_readable(fd_.get(), deadline)) throw std::runtime_error("it is not closed");
    if (::recv(fd_.get(), buffer, sizeof buffer, 0) <= 0) return;
  }
}

bool QmpClient::has_input() const {
  pollfd entry{fd_.get(), POLLIN, 0};
  return !input_.empty() || ::poll(&entry, 1, 0) > 0;
}

}  // namespace ringside::testing
