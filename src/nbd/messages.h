// What the process that runs the guest and the one that talks with an NBD server say to each other.
// Data is in memory that both have; these are the messages (transport/message_stream.h). Both
// processes are of one program, so that the bytes are as they lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "machine/virtio/allowance.h"

namespace ringside::nbd {

// Of the memory that both have, and so the most that is read or written at once.
inline constexpr std::size_t kRoom = machine::Allowance::kBytes;

enum class Operation : std::uint32_t { Read, Write, Flush };

struct Request {
  Operation operation = Operation::Read;
  std::uint32_t size = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const Request&, const Request&) = default;
};
static_assert(std::has_unique_object_representations_v<Request>);

// Followed by text that says why, if it is not Done.
enum class Status : std::uint32_t {
  Done,
  Failed,  // this request
  Gone,    // the server, and the process that talks with it ends
};
struct Answer {
  Status status = Status::Done;
};

// The first message of all, also followed by text that says why, if it is not Done.
struct Export {
  Status status = Status::Done;
  std::uint32_t is_read_only = 0;
  std::uint64_t size = 0;
};
static_assert(std::has_unique_object_representations_v<Export>);

template <typename Head>
std::vector<std::byte> to_message(const Head& head, const std::string& text = {}) {
  std::vector<std::byte> bytes(sizeof head + text.size());
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, text.data(), text.size());
  return bytes;
}

// Nothing: it is too short.
template <typename Head>
std::optional<Head> head_of(std::span<const std::byte> message) {
  Head head;
  if (message.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, message.data(), sizeof head);
  return head;
}

template <typename Head>
std::string text_of(std::span<const std::byte> message) {
  const std::span<const std::byte> text = message.subspan(sizeof(Head));
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace ringside::nbd
