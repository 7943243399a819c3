BEGIN TRANSACTION;
CREATE TABLE "attempts" (
   "run_id" TEXT NOT NULL,
   "number" INTEGER NOT NULL,
   "started_at" INTEGER NOT NULL,
   "ended_at" INTEGER,
   "result" TEXT,
   PRIMARY KEY ("run_id", "number")
) STRICT;
INSERT INTO "attempts" VALUES('25e84e07-1c80-4a63-b2ab-4b66c532c278.1',1,1795565472172143,1795565472180281,'{"type":"Exited","code":0}');
INSERT INTO "attempts" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895.1',1,1795565472192077,1795565472202457,'{"type":"Exited","code":1}');
INSERT INTO "attempts" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895.1',2,1795565472209620,1795565472219515,'{"type":"Exited","code":1}');
INSERT INTO "attempts" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895.1',3,1795565472228084,1795565472232818,'{"type":"Exited","code":1}');
INSERT INTO "attempts" VALUES('b56824c0-7338-4235-807b-37689b277f57.1',1,1795565472242859,1795565472250285,'{"type":"Exited","code":0}');
INSERT INTO "attempts" VALUES('d58b7c2f-4b80-426a-b2a1-25593833f71f.1',1,1795565472300082,1795565472302596,'{"type":"Exited","code":0}');
INSERT INTO "attempts" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1',1,1795565472332022,1795565472338747,'{"type":"Exited","code":0}');
INSERT INTO "attempts" VALUES('596d5d9d-090b-4886-9d0a-25089cba68e5.1',1,1795565472338793,NULL,NULL);
INSERT INTO "attempts" VALUES('ae8220fd-9fe5-44f6-a986-0e2b7b7d1420.1',1,1795565473003972,NULL,NULL);
CREATE TABLE "edges" (
   "child" TEXT NOT NULL,
   "position" INTEGER NOT NULL,
   "parent" TEXT NOT NULL,
   PRIMARY KEY ("child", "position")
) STRICT;
INSERT INTO "edges" VALUES('596d5d9d-090b-4886-9d0a-25089cba68e5',0,'7e7718c5-36b2-4f15-bc9e-82c2ac4db22d');
INSERT INTO "edges" VALUES('678df02c-b0c2-4272-a8df-9958f99dd9e6',0,'7e7718c5-36b2-4f15-bc9e-82c2ac4db22d');
CREATE TABLE "jobs" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "number" INTEGER NOT NULL,
   "created_at" INTEGER NOT NULL,
   "definition" TEXT NOT NULL
) STRICT;
INSERT INTO "jobs" VALUES('b56824c0-7338-4235-807b-37689b277f57',1,1795565472118029,'{"name":"alarm","command":"echo alarm","owner":"","disabled":false,"schedule":"R0/2999-01-01T00:00:00Z/PT1S","time_zone":"","parent_jobs":[],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('25e84e07-1c80-4a63-b2ab-4b66c532c278',2,1795565472141128,'{"name":"日次","command":"sh -c ''echo done''","owner":"ada","disabled":false,"schedule":"R/2026-03-29T02:30:00/P1D","time_zone":"Europe/Berlin","parent_jobs":[],"on_failure_job":"","retries":0,"epsilon":"PT1H","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895',3,1795565472188013,'{"name":"fails","command":"false","owner":"","disabled":false,"schedule":"R0//PT1S","time_zone":"","parent_jobs":[],"on_failure_job":"b56824c0-7338-4235-807b-37689b277f57","retries":2,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d',4,1795565472202579,'{"name":"parent","command":"true","owner":"","disabled":false,"schedule":"R0/2999-01-01T00:00:00Z/PT1S","time_zone":"","parent_jobs":[],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('596d5d9d-090b-4886-9d0a-25089cba68e5',5,1795565472228014,'{"name":"first child","command":"sleep 60","owner":"","disabled":false,"schedule":"","time_zone":"","parent_jobs":["7e7718c5-36b2-4f15-bc9e-82c2ac4db22d"],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('678df02c-b0c2-4272-a8df-9958f99dd9e6',6,1795565472264003,'{"name":"second child","command":"true","owner":"","disabled":false,"schedule":"","time_zone":"","parent_jobs":["7e7718c5-36b2-4f15-bc9e-82c2ac4db22d"],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('ae8220fd-9fe5-44f6-a986-0e2b7b7d1420',7,1795565472275992,'{"name":"busy","command":"sleep 60","owner":"","disabled":false,"schedule":"R/2026-01-01T00:00:00Z/PT1S","time_zone":"","parent_jobs":[],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":false,"rerun_lost":false}');
INSERT INTO "jobs" VALUES('cc5b845a-b7b8-41a0-a3a6-4d83ab7d0054',8,1795565472284327,'{"name":"off","command":"true","owner":"","disabled":true,"schedule":"R//PT1H","time_zone":"","parent_jobs":[],"on_failure_job":"","retries":0,"epsilon":"","resume_at_next_scheduled_time":true,"rerun_lost":true}');
CREATE TABLE "missed" (
   "job_id" TEXT NOT NULL,
   "job_name" TEXT NOT NULL,
   "number" INTEGER NOT NULL,
   "cause" TEXT NOT NULL,
   "reason" TEXT NOT NULL,
   "count" INTEGER NOT NULL,
   "first" INTEGER NOT NULL,
   "last" INTEGER NOT NULL,
   "last_occurrence" INTEGER,
   PRIMARY KEY ("job_id", "number")
) STRICT;
INSERT INTO "missed" VALUES('ae8220fd-9fe5-44f6-a986-0e2b7b7d1420','busy',1,'occurrence','overlap',2,1795565474000000,1795565475000000,28339875);
CREATE TABLE "progress" (
   "job_id" TEXT PRIMARY KEY NOT NULL,
   "disabled" INTEGER NOT NULL,
   "next_number" INTEGER,
   "next_at" INTEGER,
   "pending" TEXT,
   "run_id" TEXT,
   "runs" INTEGER NOT NULL,
   "finished" INTEGER NOT NULL,
   "success_count" INTEGER NOT NULL,
   "error_count" INTEGER NOT NULL,
   "last_success" INTEGER,
   "last_error" INTEGER,
   "last_attempted_run" INTEGER,
   "misses" INTEGER NOT NULL,
   "latest_missed" TEXT NOT NULL
) STRICT;
INSERT INTO "progress" VALUES('b56824c0-7338-4235-807b-37689b277f57',0,0,32472144000000000,NULL,NULL,1,1,1,0,1795565472250285,NULL,1795565472242859,0,'[]');
INSERT INTO "progress" VALUES('25e84e07-1c80-4a63-b2ab-4b66c532c278',0,241,1795570200000000,NULL,NULL,1,1,1,0,1795565472180281,NULL,1795565472172143,0,'[]');
INSERT INTO "progress" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895',0,NULL,NULL,NULL,NULL,1,1,0,3,NULL,1795565472232818,1795565472228084,0,'[]');
INSERT INTO "progress" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d',0,0,32472144000000000,NULL,NULL,1,1,1,0,1795565472338747,NULL,1795565472332022,0,'[]');
INSERT INTO "progress" VALUES('596d5d9d-090b-4886-9d0a-25089cba68e5',0,NULL,NULL,NULL,'596d5d9d-090b-4886-9d0a-25089cba68e5.1',1,0,0,0,NULL,NULL,1795565472338793,0,'[]');
INSERT INTO "progress" VALUES('678df02c-b0c2-4272-a8df-9958f99dd9e6',0,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,0,'[]');
INSERT INTO "progress" VALUES('ae8220fd-9fe5-44f6-a986-0e2b7b7d1420',0,28339877,1795565477000000,'{"cause":"occurrence","scheduled_at":"2026-11-25T00:11:16Z","occurrence":28339876,"source":null}','ae8220fd-9fe5-44f6-a986-0e2b7b7d1420.1',1,0,0,0,NULL,NULL,1795565473003972,1,'[{"job_id":"ae8220fd-9fe5-44f6-a986-0e2b7b7d1420","job_name":"busy","number":1,"cause":"occurrence","reason":"overlap","count":2,"first":"2026-11-25T00:11:14Z","last":"2026-11-25T00:11:15Z","last_occurrence":28339875}]');
INSERT INTO "progress" VALUES('cc5b845a-b7b8-41a0-a3a6-4d83ab7d0054',1,0,1795565472284327,NULL,NULL,0,0,0,0,NULL,NULL,NULL,0,'[]');
CREATE TABLE "queues" (
   "run_id" TEXT PRIMARY KEY NOT NULL,
   "position" INTEGER NOT NULL
) STRICT;
INSERT INTO "queues" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1',0);
CREATE TABLE "runs" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "job_id" TEXT NOT NULL,
   "job_name" TEXT NOT NULL,
   "number" INTEGER NOT NULL,
   "trigger" TEXT NOT NULL,
   "started_at" INTEGER NOT NULL,
   "attempts" INTEGER NOT NULL,
   "ended_at" INTEGER,
   "outcome" TEXT
) STRICT;
INSERT INTO "runs" VALUES('25e84e07-1c80-4a63-b2ab-4b66c532c278.1','25e84e07-1c80-4a63-b2ab-4b66c532c278','日次',1,'{"cause":"manual","scheduled_at":"2026-11-25T00:11:12.164036Z","occurrence":null,"source":null}',1795565472172143,1,1795565472180281,'succeeded');
INSERT INTO "runs" VALUES('14dae301-a228-469b-9c8a-62ffa9e04895.1','14dae301-a228-469b-9c8a-62ffa9e04895','fails',1,'{"cause":"occurrence","scheduled_at":"2026-11-25T00:11:12.188013Z","occurrence":0,"source":null}',1795565472192077,3,1795565472232818,'failed');
INSERT INTO "runs" VALUES('b56824c0-7338-4235-807b-37689b277f57.1','b56824c0-7338-4235-807b-37689b277f57','alarm',1,'{"cause":"failure","scheduled_at":"2026-11-25T00:11:12.240028Z","occurrence":null,"source":"14dae301-a228-469b-9c8a-62ffa9e04895.1"}',1795565472242859,1,1795565472250285,'succeeded');
INSERT INTO "runs" VALUES('d58b7c2f-4b80-426a-b2a1-25593833f71f.1','d58b7c2f-4b80-426a-b2a1-25593833f71f','gone',1,'{"cause":"occurrence","scheduled_at":"2026-11-25T00:11:12.291990Z","occurrence":0,"source":null}',1795565472300082,1,1795565472302596,'succeeded');
INSERT INTO "runs" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1','7e7718c5-36b2-4f15-bc9e-82c2ac4db22d','parent',1,'{"cause":"manual","scheduled_at":"2026-11-25T00:11:12.330573Z","occurrence":null,"source":null}',1795565472332022,1,1795565472338747,'succeeded');
INSERT INTO "runs" VALUES('596d5d9d-090b-4886-9d0a-25089cba68e5.1','596d5d9d-090b-4886-9d0a-25089cba68e5','first child',1,'{"cause":"parent","scheduled_at":"2026-11-25T00:11:12.338793Z","occurrence":null,"source":"7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1"}',1795565472338793,1,NULL,NULL);
INSERT INTO "runs" VALUES('ae8220fd-9fe5-44f6-a986-0e2b7b7d1420.1','ae8220fd-9fe5-44f6-a986-0e2b7b7d1420','busy',1,'{"cause":"occurrence","scheduled_at":"2026-11-25T00:11:13Z","occurrence":28339873,"source":null}',1795565473003972,1,NULL,NULL);
CREATE TABLE "turns" (
   "run_id" TEXT NOT NULL,
   "position" INTEGER NOT NULL,
   "child" TEXT NOT NULL,
   PRIMARY KEY ("run_id", "position")
) STRICT;
INSERT INTO "turns" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1',0,'596d5d9d-090b-4886-9d0a-25089cba68e5');
INSERT INTO "turns" VALUES('7e7718c5-36b2-4f15-bc9e-82c2ac4db22d.1',1,'678df02c-b0c2-4272-a8df-9958f99dd9e6');
CREATE INDEX "idx_edges_parent"
    ON "edges" ("parent");
CREATE UNIQUE INDEX "idx_runs_job_id_number"
    ON "runs" ("job_id", "number");
CREATE INDEX runs_in_progress ON runs (id) WHERE outcome IS NULL;
CREATE INDEX attempts_in_progress ON attempts (run_id) WHERE result IS NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at NOT NULL;
CREATE INDEX missed_last ON missed (last);
CREATE UNIQUE INDEX "idx_jobs_number"
    ON "jobs" ("number");
COMMIT;
PRAGMA user_version = 3;
PRAGMA application_id = 1801546849;
