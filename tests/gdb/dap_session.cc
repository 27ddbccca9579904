#include "gdb/dap_session.h"

#include <algorithm>
#include <stdexcept>

namespace ringside::testing {
namespace {

constexpr auto kStream = ChildProcess::Stream::Output;
constexpr std::string_view kHeader = "Content-Length: ", kEndOfHeader = "\r\n\r\n";

}  // namespace

int DapSession::start(std::string_view command, std::string_view arguments) {
  const std::string message = R"({"seq":)" + std::to_string(++last_request_) +
                              R"(,"type":"request","command":")" + std::string(command) +
                              R"(","arguments":)" + std::string(arguments) + '}';
  process_.write_input(std::string(kHeader) + std::to_string(message.size()) +
                       std::string(kEndOfHeader) + message);
  return last_request_;
}

std::string DapSession::finish(int request) {
  const std::string response = await("\"request_seq\":" + std::to_string(request) + ',');
  if (response.find("\"success\":true") == std::string::npos) throw std::runtime_error(response);
  return response;
}

std::string DapSession::ask(std::string_view command, std::string_view arguments) {
  return finish(start(command, arguments));
}

std::string DapSession::await_event(std::string_view name) {
  return await("\"event\":\"" + std::string(name) + '"');
}

std::string DapSession::await_stop() { return await("\"preserveFocusHint\":false"); }

void DapSession::resume(std::string_view command, std::string_view arguments) {
  take_messages();
  messages_.clear();
  for (int tries = 1;; ++tries) {
    ask(command, arguments);
    try {
      await("\"event\":\"continued\"", Deadline(std::chrono::seconds(5)));
      return;
    } catch (const std::runtime_error&) {
      if (tries == 4) throw;
    }
  }
}

std::string DapSession::value_of(std::string_view message, std::string_view name) {
  const std::string key = '"' + std::string(name) + "\":";
  std::size_t at = message.find(key);
  if (at == std::string_view::npos) return {};
  at += key.size();
  if (message[at] == '"') ++at;
  return std::string(message.substr(at, message.find_first_of("\",}]", at) - at));
}

std::string DapSession::await(const std::string& text, const Deadline& deadline) {
  while (true) {
    take_messages();
    const auto found = std::find_if(messages_.begin(), messages_.end(), [&](const auto& message) {
      return message.find(text) != std::string::npos;
    });
    if (found != messages_.end()) {
      const std::string message = *found;
      messages_.erase(found);
      return message;
    }
    process_.await_more(kStream, deadline);
  }
}

void DapSession::take_messages() {
  const std::string& all = process_.text(kStream);
  while (true) {
    const std::size_t header = all.find(kHeader, seen_);
    const std::size_t end = all.find(kEndOfHeader, seen_);
    if (header == std::string::npos || end == std::string::npos) return;
    const std::size_t size = std::stoul(all.substr(header + kHeader.size()));
    const std::size_t body = end + kEndOfHeader.size();
    if (all.size() - body < size) return;
    messages_.push_back(all.substr(body, size));
    seen_ = body + size;
  }
}

}  // namespace ringside::testing
