// Messages over a stream socket between two processes of ours: the length in four bytes, the least
// significant first, and then so many bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ringside::transport {

inline constexpr std::uint32_t kMaxMessage = 1 << 20;
inline constexpr std::size_t kMessageHeader = 4;

// Both wait as long as it takes. False: the other side is gone, or the message is longer than any
// may be.
bool send_message(int socket, std::span<const std::byte> message);
// Nothing: the other side is gone, or has said what is no message.
std::optional<std::vector<std::byte>> receive_message(int socket);

// Cuts what is read of a stream into its messages.
class MessageReader {
 public:
  enum class Waiting : std::uint8_t { No, Yes };
  enum class Received : std::uint8_t {
    All,      // what the socket had
    Part,     // as much as is read at once; there may be more
    Nothing,  // there is nothing now
    End,      // the other side is gone
  };
  Received receive(int socket, Waiting waiting);
  void append(std::span<const std::byte> bytes);
  // Until more is received or appended.
  std::optional<std::span<const std::byte>> next();
  // The same; waits until the message is there. Nothing: the other side is gone, or has said what
  // is no message.
  std::optional<std::span<const std::byte>> await(int socket);
  // There is a whole message that next() would give.
  bool has_message() const;
  // What follows is longer than any message may be: the stream cannot be read on.
  bool is_broken() const;

 private:
  std::span<std::byte> room(std::size_t least);
  std::size_t rest() const { return end_ - begin_; }
  std::uint32_t length() const;  // of the message that comes next; its header is there

  std::vector<std::byte> bytes_;  // keeps its size, so that nothing is zeroed twice
  std::size_t begin_ = 0;         // of what has not been taken
  std::size_t end_ = 0;           // of what has been read
};

// Messages on their way to somebody who is not waited for. Up to a bound, they are kept until the
// socket takes them.
class MessageWriter {
 public:
  // `room`: for so many bytes, each message's header among them.
  explicit MessageWriter(std::size_t room) : room_(room) {}

  // False: it is not taken, because there is no room for it or it is longer than any may be.
  bool add(std::span<const std::byte> message);
  // Sends what the socket takes now. False: the other side is gone.
  bool flush(int socket);
  void clear();

  bool empty() const { return sent_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size() - sent_; }

 private:
  std::size_t room_;
  std::vector<std::byte> bytes_;
  std::size_t sent_ = 0;  // of bytes_
};

}  // namespace ringside::transport
