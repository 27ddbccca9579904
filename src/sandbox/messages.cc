#include "sandbox/messages.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace ringside::sandbox {
namespace {

constexpr std::size_t kMostText = 8192;

struct RequestHeader {
  std::uint8_t wish = 0, folder = 0, kind = 0, unused = 0;
  std::uint32_t number = 0;
};
struct AnswerHeader {
  std::int32_t code = -1, errno_value = 0;
  std::uint32_t number = 0;
};

template <typename Header>
bool send_message(int socket, Header header, std::string_view text, int descriptor) {
  std::array<iovec, 2> parts{
      {{&header, sizeof header}, {const_cast<char*>(text.data()), text.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// The first one that came; others are closed. Where one fits, there is room for two (CMSG_SPACE).
void take_descriptor(msghdr& message, Fd& descriptor) {
  const cmsghdr* const part = CMSG_FIRSTHDR(&message);
  if (part == nullptr || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) return;
  const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = count; i-- > 0;) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
    descriptor.reset(fd);
  }
}

// The flags of recvmsg(2); nothing: the other side is gone, or this is no message.
template <typename Header>
std::optional<int> receive_message(int socket, Header& header, std::string& text, Fd& descriptor) {
  text.resize(kMostText);
  std::array<iovec, 2> parts{{{&header, sizeof header}, {text.data(), text.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size > 0) take_descriptor(message, descriptor);
  if (size < static_cast<ssize_t>(sizeof header) || (message.msg_flags & MSG_TRUNC) != 0)
    return std::nullopt;
  text.resize(static_cast<std::size_t>(size) - sizeof header);
  return message.msg_flags;
}

}  // namespace

bool send(int socket, const Request& request) {
  if (request.text.size() > kMostText) return false;
  RequestHeader header;
  header.wish = static_cast<std::uint8_t>(request.wish);
  header.folder = static_cast<std::uint8_t>(request.folder);
  header.kind = static_cast<std::uint8_t>(request.kind);
  header.number = request.number;
  return send_message(socket, header, request.text, -1);
}

bool send(int socket, const Answer& answer) {
  AnswerHeader header;
  if (answer.code) header.code = static_cast<std::int32_t>(*answer.code);
  header.errno_value = answer.errno_value;
  header.number = answer.number;
  // A sentence may quote all of a request.
  const std::string_view text = std::string_view(answer.text).substr(0, kMostText);
  return send_message(socket, header, text, answer.fd.get());
}

std::optional<Request> receive_request(int socket) {
  RequestHeader header;
  Request request;
  Fd unwanted;
  if (!receive_message(socket, header, request.text, unwanted)) return std::nullopt;
  if (header.wish >= kWishes || header.folder >= kFolders || header.kind >= kFileKinds)
    return std::nullopt;
  request.wish = static_cast<Wish>(header.wish);
  request.folder = static_cast<FolderOf>(header.folder);
  request.kind = static_cast<FileKind>(header.kind);
  request.number = header.number;
  return request;
}

std::optional<Answer> receive_answer(int socket) {
  AnswerHeader header;
  Answer answer;
  const std::optional<int> flags = receive_message(socket, header, answer.text, answer.fd);
  if (!flags) return std::nullopt;
  if (header.code >= 0) answer.code = static_cast<ErrorCode>(header.code);
  answer.errno_value = header.errno_value;
  answer.number = header.number;
  // A descriptor was sent, for which this process has no number: RLIMIT_NOFILE, see unix(7).
  if ((*flags & MSG_CTRUNC) != 0 && !answer.fd) {
    const Error error = Error::from_errno("what was opened cannot be taken over", EMFILE);
    answer.code = error.code();
    answer.errno_value = EMFILE;
    answer.text = error.text();
  }
  return answer;
}

}  // namespace ringside::sandbox
