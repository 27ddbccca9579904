// Numbers of 9P2000.L: the messages of 9P2000 that it keeps (intro(5) of Plan 9's manual), and
// those that it adds, which are named after the system calls of Linux that they are for. An answer
// has the number of its request, and 1 more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringside::share {

enum class MessageType : std::uint8_t {
  Error = 6,  // as an answer alone
  StatFs = 8,
  Open = 12,
  Create = 14,
  SymbolicLink = 16,
  MakeNode = 18,
  Rename = 20,
  ReadLink = 22,
  GetAttributes = 24,
  SetAttributes = 26,
  WalkToExtendedAttribute = 30,
  CreateExtendedAttribute = 32,
  ReadDirectory = 40,
  Sync = 50,
  Lock = 52,
  GetLock = 54,
  Link = 70,
  MakeDirectory = 72,
  RenameAt = 74,
  UnlinkAt = 76,
  Version = 100,
  Authenticate = 102,
  Attach = 104,
  Flush = 108,
  Walk = 110,
  Read = 116,
  Write = 118,
  Clunk = 120,
  Remove = 122,
};

inline constexpr const char* kVersion = "9P2000.L";

// size[4] type[1] tag[2]
inline constexpr std::size_t kHeader = 7;
// What comes before the data of an answer to a read: the header and count[4].
inline constexpr std::size_t kReadHeader = kHeader + 4;
// What Linux takes for the header of any read or write (P9_IOHDRSZ).
inline constexpr std::uint32_t kTransferHeader = 24;

// Of a whole message. Linux asks for up to 500 KiB over virtio, and for no less than the smaller
// one, into which every answer fits that has no data of a variable size.
inline constexpr std::uint32_t kLargestMessage = 512 * 1024;
inline constexpr std::uint32_t kSmallestMessage = 4096;

inline constexpr std::uint16_t kNoTag = 0xffff;
inline constexpr std::uint32_t kNoFid = ~std::uint32_t{0};
inline constexpr std::uint32_t kNoUser = ~std::uint32_t{0};

inline constexpr unsigned kLongestWalk = 16;  // names in a message

}  // namespace ringside::share
