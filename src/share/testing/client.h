// A client of 9P2000.L for tests: it sends requests to a server, and checks of every answer that it
// is one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "share/messages.h"
#include "share/server.h"
#include "share/testing/message.h"

namespace ringside::share::testing {

class Client {
 public:
  static constexpr std::uint32_t kRoot = 0;

  explicit Client(Server& server) : server_(server) {}

  // A message as it is, whatever that is. The answer is well-formed, and not too long.
  Answer send(const Bytes& request) {
    const auto said = server_.answer(request);
    Bytes bytes(said.begin(), said.end());
    const std::size_t size = bytes.size();
    Answer answer(std::move(bytes));
    EXPECT_GE(size, kHeader);
    EXPECT_EQ(answer.size(), size);
    EXPECT_LE(size, most_);
    const auto type = static_cast<unsigned>(request.size() > 4 ? request[4] : std::byte{0});
    EXPECT_TRUE(answer.type() == 7 || answer.type() == type + 1) << unsigned{answer.type()};
    EXPECT_TRUE(answer.type() != 7 || answer.error() != 0);
    return answer;
  }
  Answer ask(const Request& request) { return send(request.bytes()); }
  int error_of(const Request& request) { return ask(request).error(); }

  // ---- A conversation
  Answer version(std::uint32_t size, std::string_view protocol = kVersion) {
    Answer answer = ask(Request(MessageType::Version, kNoTag).u32(size).string(protocol));
    if (answer.error() == 0) most_ = Answer(answer).u32();
    return answer;
  }
  int attach(std::uint32_t fid = kRoot, std::uint32_t user = kNoUser) {
    return error_of(
        Request(MessageType::Attach).u32(fid).u32(kNoFid).string("root").string("").u32(user));
  }
  void begin(std::uint32_t size = kLargestMessage) {
    EXPECT_EQ(version(size).error(), 0);
    EXPECT_EQ(attach(), 0);
  }
  Answer walk(std::uint32_t from, std::uint32_t to, const std::vector<std::string>& names) {
    Request request(MessageType::Walk);
    request.u32(from).u32(to).u16(static_cast<std::uint16_t>(names.size()));
    for (const std::string& name : names)
      request.string(name);
    return ask(request);
  }
  // A fid for it, which must be there. "a/b" are two names.
  std::uint32_t fid(const std::string& path) {
    const std::uint32_t number = next_++;
    EXPECT_EQ(try_walk(path, number), 0) << path;
    return number;
  }
  // The error; ENOENT where not all is there.
  int try_walk(const std::string& path, std::uint32_t to) {
    std::vector<std::string> names;
    for (std::size_t at = 0; at < path.size();) {
      const std::size_t end = std::min(path.find('/', at), path.size());
      names.push_back(path.substr(at, end - at));
      at = end + 1;
    }
    Answer answer = walk(kRoot, to, names);
    if (answer.error() != 0) return answer.error();
    return answer.u16() == names.size() ? 0 : ENOENT;
  }
  int clunk(std::uint32_t fid) { return error_of(Request(MessageType::Clunk).u32(fid)); }

  // ---- Content
  int open(std::uint32_t fid, std::uint32_t flags) {
    return error_of(Request(MessageType::Open).u32(fid).u32(flags));
  }
  std::uint32_t opened(const std::string& path, std::uint32_t flags) {
    const std::uint32_t number = fid(path);
    EXPECT_EQ(open(number, flags), 0) << path;
    return number;
  }
  int create(std::uint32_t directory, std::string_view name, std::uint32_t flags,
             std::uint32_t mode = 0644) {
    return error_of(
        Request(MessageType::Create).u32(directory).string(name).u32(flags).u32(mode).u32(0));
  }
  Answer read(std::uint32_t fid, std::uint64_t offset, std::uint32_t count) {
    return ask(Request(MessageType::Read).u32(fid).u64(offset).u32(count));
  }
  std::string content(std::uint32_t fid) { return read(fid, 0, 1 << 16).data(); }
  Answer write(std::uint32_t fid, std::uint64_t offset, std::string_view text) {
    return ask(Request(MessageType::Write).u32(fid).u64(offset).data(text));
  }

  // ---- Names
  int make_directory(std::uint32_t directory, std::string_view name, std::uint32_t mode = 0755) {
    return error_of(
        Request(MessageType::MakeDirectory).u32(directory).string(name).u32(mode).u32(0));
  }
  int make_link(std::uint32_t directory, std::string_view name, std::string_view target) {
    return error_of(
        Request(MessageType::SymbolicLink).u32(directory).string(name).string(target).u32(0));
  }
  int make_node(std::uint32_t directory, std::string_view name, std::uint32_t mode) {
    return error_of(
        Request(MessageType::MakeNode).u32(directory).string(name).u32(mode).u32(1).u32(3).u32(0));
  }
  int link(std::uint32_t directory, std::uint32_t file, std::string_view name) {
    return error_of(Request(MessageType::Link).u32(directory).u32(file).string(name));
  }
  int unlink(std::uint32_t directory, std::string_view name, std::uint32_t flags = 0) {
    return error_of(Request(MessageType::UnlinkAt).u32(directory).string(name).u32(flags));
  }
  int rename(std::uint32_t from, std::string_view name, std::uint32_t to, std::string_view other) {
    return error_of(Request(MessageType::RenameAt).u32(from).string(name).u32(to).string(other));
  }
  int rename(std::uint32_t fid, std::uint32_t to, std::string_view name) {
    return error_of(Request(MessageType::Rename).u32(fid).u32(to).string(name));
  }
  int remove(std::uint32_t fid) { return error_of(Request(MessageType::Remove).u32(fid)); }
  Answer read_link(std::uint32_t fid) { return ask(Request(MessageType::ReadLink).u32(fid)); }

 private:
  Server& server_;
  std::uint32_t most_ = kSmallestMessage;
  std::uint32_t next_ = 1000;
};

}  // namespace ringside::share::testing
