#include "rsp/reply.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ringside::rsp {
namespace {

TEST(Reply, Errors) {
  EXPECT_EQ(reply::error(ErrorNumber::BadRequest), "E16");
  EXPECT_EQ(reply::error(ErrorNumber::BadAddress), "E0e");
  EXPECT_EQ(reply::error(ErrorNumber::NotSupported), "E2d");
  EXPECT_EQ(reply::error(ErrorNumber::NoSuchObject), "E02");
  const Error error(ErrorCode::BadAddress, "no memory at 1000");
  EXPECT_EQ(reply::error(error, ErrorStyle::Number), "E0e");
  EXPECT_EQ(reply::error(error, ErrorStyle::Text), "E.no memory at 1000");
  EXPECT_EQ(reply::error(Error(ErrorCode::NotFound, "a#b$c}d*e\nf\xff"), ErrorStyle::Text),
            "E.a_b_c_d_e_f_");
}

TEST(Reply, ThreadIdsAreWholeBytes) {
  const auto id = [](std::uint64_t number) {
    std::string text;
    append_id(text, number);
    return text;
  };
  EXPECT_EQ(id(0), "00");
  EXPECT_EQ(id(1), "01");
  EXPECT_EQ(id(2), "02");
  EXPECT_EQ(id(16), "10");
  EXPECT_EQ(id(256), "0100");
  EXPECT_EQ(id(~std::uint64_t{0}), "ffffffffffffffff");
  std::string text;
  append_thread_id(text, 1, 2);
  EXPECT_EQ(text, "p01.02");
}

TEST(Reply, Stops) {
  EXPECT_EQ(StopReply(5).str(), "T05");
  EXPECT_EQ(StopReply(5).thread(std::nullopt, 2).str(), "T05thread:02;");
  EXPECT_EQ(StopReply(5).thread(std::nullopt, 1).swbreak().str(), "T05thread:01;swbreak:;");
  EXPECT_EQ(StopReply(5).thread(1, 1).watch(Gva{0xffff0000}).core(0).str(),
            "T05thread:p01.01;watch:ffff0000;core:0;");
  EXPECT_EQ(StopReply(5).thread(std::nullopt, 1).replay_begin().str(),
            "T05thread:01;replaylog:begin;");
  EXPECT_EQ(StopReply(5).thread(1, 2).replay_end().str(), "T05thread:p01.02;replaylog:end;");
  const std::byte rip[] = {std::byte{0x34}, std::byte{0x12}};
  EXPECT_EQ(StopReply(2).register_value(16, rip).hwbreak().str(), "T0210:3412;hwbreak:;");
}

TEST(Reply, TransfersPieceByPiece) {
  EXPECT_EQ(reply::transfer("abcdef", 0, 6), "labcdef");
  EXPECT_EQ(reply::transfer("abcdef", 0, 5), "mabcde");
  EXPECT_EQ(reply::transfer("abcdef", 5, 1), "lf");
  EXPECT_EQ(reply::transfer("abcdef", 6, 1), "l");
  EXPECT_EQ(reply::transfer("abcdef", 7, 1), "l");
  EXPECT_EQ(reply::transfer("", 0, 1), "l");
  const std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_EQ(reply::transfer("abcdef", 1, huge), "lbcdef");
  EXPECT_EQ(reply::transfer("abcdef", huge, huge), "l");
}

TEST(Reply, TransferPiecesMakeTheDocument) {
  rc::check([](const std::string& document) {
    const auto size = *rc::gen::inRange<std::size_t>(1, 20);
    std::string read;
    for (;;) {
      const std::string piece = reply::transfer(document, read.size(), size);
      read += piece.substr(1);
      if (piece.front() == 'l') break;
    }
    RC_ASSERT(read == document);
  });
}

TEST(Reply, DataAndConsole) {
  EXPECT_EQ(reply::console_output("hi\n"), "O68690a");
  const std::byte data[] = {std::byte{'#'}, std::byte{0}};
  EXPECT_EQ(reply::hex(data), "2300");
  EXPECT_EQ(reply::binary(data), std::string("b#\0", 3));
  EXPECT_EQ(reply::hex(std::string_view("vCPU 0")), "764350552030");
}

}  // namespace
}  // namespace ringside::rsp
