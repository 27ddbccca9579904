#include "transport/socket_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

namespace ringside::transport {
namespace {

// What is left of a line, word by word.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  std::string_view next() {
    const std::size_t from = rest_.find_first_not_of(' ');
    if (from == rest_.npos) return {};
    rest_.remove_prefix(from);
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return word;
  }
  void skip(unsigned count) {
    while (count-- > 0)
      (void)next();
  }

 private:
  std::string_view rest_;
};

template <typename Number>
std::optional<Number> number_in(std::string_view digits, int base) {
  Number number{};
  const char* const end = digits.data() + digits.size();
  const auto [last, problem] = std::from_chars(digits.data(), end, number, base);
  if (problem != std::errc() || last != end) return std::nullopt;
  return number;
}

struct Name {
  in6_addr address{};
  std::uint16_t port = 0;
};

// "0100007F:04D2": the address by words of four bytes, each written as a number of this processor;
// the port as a number.
std::optional<Name> name_in(std::string_view word) {
  constexpr std::size_t kWord = 8;
  const std::size_t colon = word.find(':');
  if (colon != kWord && colon != 4 * kWord) return std::nullopt;
  const auto port = number_in<std::uint16_t>(word.substr(colon + 1), 16);
  if (!port) return std::nullopt;
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i * kWord < colon; ++i) {
    const auto part = number_in<std::uint32_t>(word.substr(i * kWord, kWord), 16);
    if (!part) return std::nullopt;
    words[i] = *part;
  }
  Name name{{}, *port};
  if (colon == kWord) {
    name.address = mapped(words.data());
  } else {
    std::memcpy(&name.address, words.data(), sizeof name.address);
  }
  return name;
}

bool is(const std::optional<Name>& name, const in6_addr& address, std::uint16_t port) {
  return name && name->port == port && std::memcmp(&name->address, &address, sizeof address) == 0;
}

// The columns: number, own end, other end, state, queues, timer, retransmissions, user, timeouts,
// inode.
std::optional<uid_t> owner_in(std::string_view line, const TcpEnds& ends) {
  Words words(line);
  words.skip(1);
  if (!is(name_in(words.next()), ends.other, ends.other_port)) return std::nullopt;
  if (!is(name_in(words.next()), ends.own, ends.own_port)) return std::nullopt;
  const auto state = number_in<unsigned>(words.next(), 16);
  words.skip(3);
  const auto user = number_in<uid_t>(words.next(), 10);
  words.skip(1);
  const auto inode = number_in<std::uint64_t>(words.next(), 10);
  if (!state || !user || !inode || !has_owner(*state, *inode)) return std::nullopt;
  return user;
}

std::string whole(int file) {
  std::string text;
  std::array<char, 65536> piece;
  ssize_t size = 0;
  while ((size = ::pread(file, piece.data(), piece.size(), static_cast<off_t>(text.size()))) > 0)
    text.append(piece.data(), static_cast<std::size_t>(size));
  return text;
}

}  // namespace

std::optional<uid_t> owner_listed(std::string_view list, const TcpEnds& ends) {
  while (!list.empty()) {
    const std::string_view line = list.substr(0, list.find('\n'));
    list.remove_prefix(std::min(list.size(), line.size() + 1));
    if (const auto owner = owner_in(line, ends)) return owner;
  }
  return std::nullopt;
}

SocketTable SocketTable::open() {
  std::vector<Fd> files;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    if (Fd file(::open(path, O_RDONLY | O_CLOEXEC)); file) files.push_back(std::move(file));
  }
  return SocketTable(std::move(files));
}

std::optional<uid_t> SocketTable::owner_of_other_end(const TcpEnds& ends) const {
  for (const Fd& file : files_) {
    if (const auto owner = owner_listed(whole(file.get()), ends)) return owner;
  }
  return std::nullopt;
}

}  // namespace ringside::transport
