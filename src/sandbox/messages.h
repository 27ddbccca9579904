// What is said between the process that runs the guest and its keeper: one request, one answer.
// Whoever owns the guest may own the sender of requests, so what cannot be meant is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/file_kind.h"
#include "base/result.h"
#include "sandbox/outside.h"

namespace ringside::sandbox {

enum class Wish : std::uint8_t {
  OpenInput,
  Check,
  Create,
  Finish,
  Discard,
  OpenModule,
  Listen,
  Begin,
  RemoveSocket,
  End,
};
inline constexpr unsigned kWishes = 10;

struct Request {
  Wish wish = Wish::End;
  FolderOf folder = FolderOf::Files;
  FileKind kind = FileKind::Core;
  std::uint32_t number = 0;
  std::string text;  // a name or an endpoint
};

struct Answer {
  // The error's code; none: it is done.
  std::optional<ErrorCode> code;
  int errno_value = 0;  // of open_input(), and of what was opened but could not be received
  std::uint32_t number = 0;
  std::string text;  // of the error
  Fd fd;
};

// False: the other side is gone, or the text is longer than any that can be meant. What is too long
// of an answer's text is left out.
bool send(int socket, const Request& request);
bool send(int socket, const Answer& answer);
// Nothing: the other side is gone, or has said what is no message.
std::optional<Request> receive_request(int socket);
std::optional<Answer> receive_answer(int socket);

}  // namespace ringside::sandbox
